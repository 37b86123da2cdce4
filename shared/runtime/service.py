"""The one way in which every service starts and stops."""
