"""Values: a trial, a sweep, what happened to them, and what that amounts to. Nothing here reads or writes."""
