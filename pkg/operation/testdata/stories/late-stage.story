# Cable cut with STAGE on its way, panel killed, cable healed: STAGE arrives after the recovery,
# and finds the tombstone.
seed 1
shape alike
do add item1 acme v1
fault the cable of frame 5 is cut for 0 seconds
fault the panel is killed at frame 8
