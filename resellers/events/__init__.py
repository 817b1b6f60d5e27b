"""What programs are told has happened: written where it happens, read with a cursor that misses nothing."""
