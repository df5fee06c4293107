# `flask` and wsgi.py load this in development; .dockerignore excludes it from the image, where unset means production.
FLASK_ENV=development
