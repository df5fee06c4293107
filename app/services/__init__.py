"""What the application does, without HTTP: routes and commands call it, it calls the models."""
