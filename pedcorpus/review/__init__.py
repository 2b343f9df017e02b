"""A local web page where doctors accept, edit or reject rows, and what the next build does with their decisions.

`decisions` is the build's side: it reads decision files and applies them. `agreement` says how far reviewers agree.
The rest is the page: `sample` chooses rows, `view` prepares one for reading, `journal` keeps the decisions, `app` and
`server` show them on this machine alone.
"""
