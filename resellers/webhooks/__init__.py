"""Events sent to where somebody wants them: signed, tried for days, each endpoint apart from the others."""
