//go:build race

package store_test

// raced tells that the race detector slows everything down some twenty times.
const raced = true
