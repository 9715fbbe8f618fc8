# A server's clock went a year forward, and what had been parked that day was purged.
seed 5
shape alike
do delete b0
later the clock of h13 goes forward 337 days after 25 milliseconds
