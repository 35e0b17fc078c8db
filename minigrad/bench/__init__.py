"""How long a step of a recurrent layer takes, next to others: `minigrad bench`."""
