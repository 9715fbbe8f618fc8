package main

import (
	"fmt"
	"time"
)

// table prints one line of Markdown a measurement.
type table struct{}

func (table) begin() {
	fmt.Println("| work | measured | compared with | ratio | target | |")
	fmt.Println("|---|---|---|---|---|---|")
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// ratio prints a/b. more says that the target is the least, else it is the most.
func (table) ratio(work string, a time.Duration, with string, b time.Duration, target float64, more bool) {
	ratio := float64(a) / float64(b)
	bound, met, measured := "at most", ratio <= target, a
	if more {
		bound, met, measured = "at least", ratio >= target, b
	}
	other := a + b - measured
	fmt.Printf("| %s | %v | %s: %v | %.2f | %s %g | %s |\n", work, measured.Round(time.Millisecond), with, other.Round(time.Millisecond), ratio, bound, target, verdict(met))
}

// absolute prints a time; a target of 0 is none.
func (table) absolute(work string, measured, target time.Duration) {
	if target == 0 {
		fmt.Printf("| %s | %v | | | | |\n", work, measured.Round(time.Millisecond))
		return
	}
	fmt.Printf("| %s | %v | | | %v | %s |\n", work, measured.Round(100*time.Microsecond), target, verdict(measured <= target))
}

// count prints a number that may be at most so much.
func (table) count(work string, measured, target int) {
	fmt.Printf("| %s | %d | | | at most %d | %s |\n", work, measured, target, verdict(measured <= target))
}

// unmeasured says that something is missing, and why.
func (table) unmeasured(work, why string) {
	fmt.Printf("| %s | not measured: %s | | | | |\n", work, why)
}

func (table) memory(work string, measured, target int64) {
	fmt.Printf("| %s, memory | %d MiB | | | %d MiB | %s |\n", work, measured>>20, target>>20, verdict(measured <= target))
}
