# KEPT was lost, and then the server's clock went back: its tombstone was not found, and KEEP was refused for ever.
seed 1
shape alike
do add item1 acme v1
fault the panel is killed before write 3
later the clock of h12 goes back 194 days after 0 milliseconds
