"""The browser app: ``pokerlab app`` serves a page on this machine.

The server answers requests and holds the queue; it imports neither torch nor a game. Computing is done by two
processes of its own: the *desk* answers what takes milliseconds (counts, nodes, ranges, files), the *solver*
works through the queue. Either may die, or be killed: it is started anew.

An area of the app is a folder with its routes and what the processes run for it, and a folder of the page's
modules under ``static``: see :mod:`pokerlab.app.areas`.
"""
