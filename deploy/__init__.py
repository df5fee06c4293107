"""What a server runs beside the application and the edge."""
