// Package steal tells whether a virtual machine had its processors for itself while something was measured.
package steal

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// stat is where Linux counts what its processors did.
const stat = "/proc/stat"

// stolen is the place, among the numbers of a line of stat, of the time in which a processor had work and the host gave it
// to others (proc_stat(5)); guests is where numbers begin that are contained in others.
const (
	stolen = 7
	guests = 8
)

// Meter counts from a moment on.
type Meter struct{ taken, all uint64 }

// Start begins to count.
func Start() (Meter, error) {
	content, err := os.ReadFile(stat)
	if err != nil {
		return Meter{}, err
	}
	return parse(content)
}

// Taken returns which share of the processors' time the host has given to others since the start: 0 for none, 1 for all.
// It is 0 on a machine that is not virtual.
func (m Meter) Taken() (float64, error) {
	now, err := Start()
	if err != nil || now.all == m.all {
		return 0, err
	}
	return float64(now.taken-m.taken) / float64(now.all-m.all), nil
}

// parse reads the first line, which is about all processors.
func parse(content []byte) (m Meter, err error) {
	line, _, _ := bytes.Cut(content, []byte{'\n'})
	fields := bytes.Fields(line)
	if len(fields) <= stolen+1 || string(fields[0]) != "cpu" {
		return m, fmt.Errorf("%s: not as Linux writes it", stat)
	}
	for i, field := range fields[1:min(len(fields), guests+1)] {
		n, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return m, fmt.Errorf("%s: %w", stat, err)
		}
		m.all += n
		if i == stolen {
			m.taken = n
		}
	}
	return m, nil
}
