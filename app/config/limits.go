package config

import (
	"maps"
	"reflect"
	"strconv"
	"time"
)

// Spans of time that limits are made of.
const (
	day  = 24 * time.Hour
	week = 7 * day
	year = 365 * day
)

// maxWorkers is the largest number of goroutines of one kind that wait for a server.
const maxWorkers = 1000

// limits are the smallest and the largest value of numbers and durations, by key. A value beyond them is a slip of the
// pen, and would take the memory, the connections or the time that others need. Periodic jobs tick at whole seconds.
type limits struct {
	numbers   map[string][2]float64
	durations map[string][2]time.Duration
}

// allLimits returns those of every number and duration.
func allLimits() limits {
	all := limits{numbers: map[string][2]float64{}, durations: map[string][2]time.Duration{}}
	for _, section := range []limits{
		httpLimits(), databaseLimits(), kubernetesLimits(), tasksLimits(), controllerLimits(), tracingLimits(), domainsLimits(),
		auditLimits(), combinatorLimits(),
	} {
		maps.Copy(all.numbers, section.numbers)
		maps.Copy(all.durations, section.durations)
	}
	return all
}

// validateLimits compares every number and duration with its limits.
func (c *Config) validateLimits(invalid invalidFunc) {
	all := allLimits()
	for _, s := range c.settings() {
		if l, ok := all.durations[s.key]; ok {
			if d := time.Duration(s.value.Int()); d < l[0] || d > l[1] {
				invalid(s.key, "must be %s to %s", l[0], l[1])
			}
		}
		if l, ok := all.numbers[s.key]; ok {
			if n := asFloat(s.value); !(n >= l[0] && n <= l[1]) { // also refuses NaN
				invalid(s.key, "must be %s to %s", decimal(l[0]), decimal(l[1]))
			}
		}
	}
}

// decimal writes a number without an exponent, and a fraction with all of its digits.
func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func asFloat(v reflect.Value) float64 {
	if v.CanFloat() {
		return v.Float()
	}
	return float64(v.Int())
}
