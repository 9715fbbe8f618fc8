# A server with a queue route was lost while staging; then another one could not be undone.
# What the first still had to undo was recorded nowhere.
seed 1
shape queue
do add item1 acme v1
fault h13 loses power before change 14 for 0 seconds
fault a reload fails on h11
