"""Tables and figures of a study, made from its results alone (``results.json`` and each job's ``history.jsonl``).

``summary`` holds the arithmetic, ``grid`` lays a split's table out as plain text, ``tables``, ``latex`` and
``terminal`` write it in each format, ``curves`` draws training. Nothing here trains, loads a plugin or imports torch.
"""
