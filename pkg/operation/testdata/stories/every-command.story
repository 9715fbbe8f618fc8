# Every command, and nothing breaks: what the oracle asks for must be possible at all.
seed 3
do add item1 acme v1
do delete a0
do set b0 p3
do password b0 s3cret4
do route-match r12 bob
do disable h13
do add item7 bob v7
do enable h13
do backup
do add item10 acme v10
do restore
do stranger
do server-delete h12
do server-add h12
do route-add r12 h12 *
