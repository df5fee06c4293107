# Read by `flask` and by wsgi.py on a person's own machine; .dockerignore keeps it out of the image, where unset means production.
FLASK_ENV=development
