"""Another simulator, to validate with: other people, other operators, other attacks, and another way to make them.

It shares the schema of a call and the decks with the first simulator, none of its parameters and none of its structure: people are agents with
bursty habits (A.-L. Barabasi, "The origin of bursts and heavy tails in human dynamics", Nature 435, 2005), contacts follow a power of their rank
(J. Saramaki et al., "Persistence of social signatures in human communication", PNAS 111, 2014), talk times are log-logistic (P. Vaz de Melo et
al., "Surprising patterns for the call duration distribution of mobile phone users", ECML PKDD 2010). An attack is a point in a space of rates, pools
and times, drawn between limits from the public literature. It is opened once, at the end: nobody tunes on it.
"""
