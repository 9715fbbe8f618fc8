# Where what was published is not synced before it is announced, a server that loses
# power right behind it loses what was acknowledged.
seed 1173
shape alike
do password a0 s3cret1
fault h12 loses power before change 28 for 0 seconds
