"""The entry point of servers and commands: loads .env and .flaskenv, then creates the application."""

import sys

from flask.cli import load_dotenv

from app import create_app
from config import ConfigError

load_dotenv()
try:
    app = create_app()
except ConfigError as error:
    sys.exit(str(error))
