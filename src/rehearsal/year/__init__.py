"""`make year`: a year of one secret in virtual time, with all that happens in one, and consumers of every kind.

Data walks one way: what is drawn by lot (`almanac`, `consumers`), what became of it (`life`, in its `world`), how that
is written down (`recorder`, `chronicle`), what should have become of it (`expected`), and what is shown of it
(`table`, `picture`).
"""
