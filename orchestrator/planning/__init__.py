"""From a sweep file and overrides to trials, to what would be done about each, and to how long it takes."""
