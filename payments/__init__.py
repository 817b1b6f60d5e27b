"""The money: what is owed, how it is asked for, how it comes in, and what follows."""
