"""Why a network answers what it answers. It knows networks and pictures, and nothing of training."""
