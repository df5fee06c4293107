"""Docker, Compose and nginx: the commands as argument lists, and the runner that executes them."""
