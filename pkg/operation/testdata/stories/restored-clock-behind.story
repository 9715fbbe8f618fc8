# The panel's clock was behind at the backup and at its restoration: both lives of the database
# gave the same sequence, and the second command after the restoration was let in.
seed 4
shape alike
do backup
fault the clock of the panel goes back 100 days after 0 milliseconds
do add item2 acme v2
fault the clock of the panel goes back 100 days after 0 milliseconds
do restore
