"""What a carrier offers: his file as it comes, read into deck rows and findings, and compared with what is in force.

    bytes -> table -> guess -> mapping -> rows -> merged deck -> changes, checks, effect on own traffic

Each arrow is a file of this folder; nothing here reads or writes anything but values.
"""
