"""What a run is: its settings, read from config files and flags. The only room that knows ConfigDict."""
