"""What a run is: its settings, read from config files and flags. The only room that knows ConfigDict.

Config files import `defaults` from here.
"""

from skinjax.recipe.config_files import defaults, load_config
from skinjax.recipe.recipe import Recipe

__all__ = ["Recipe", "defaults", "load_config"]
