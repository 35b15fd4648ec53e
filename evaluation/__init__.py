"""How well fraud is found: ours and its opponents on the same simulated traffic and on real users, by one rule (`make evaluate`).

Nothing here runs in an installation. The units are the episode and money; time runs one way: nobody sees a call before it is reported.
"""
