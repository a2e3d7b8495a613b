"""Why a network answers what it answers."""
