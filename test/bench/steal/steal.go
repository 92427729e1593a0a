// Package steal tells whether a virtual machine had its processors for itself while something was measured.
package steal

import (
	"bytes"
	"fmt"
	"math"
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

// Most is the share of the processors' time that the host may have given to others during a measurement that counts.
const Most = 0.05

// Quietest measures up to tries times, until the host took no more than Most meanwhile, and returns what was found while it
// took least. Report is called after every try before the next begins.
func Quietest[T any](tries int, measure func() (T, error), report func(try int, found T, taken float64)) (best T, err error) {
	return quietest(tries, func() (found T, taken float64, err error) {
		meter, err := Start()
		if err != nil {
			return found, 0, err
		}
		if found, err = measure(); err != nil {
			return found, 0, err
		}
		taken, err = meter.Taken()
		return found, taken, err
	}, report)
}

func quietest[T any](tries int, measure func() (T, float64, error), report func(int, T, float64)) (best T, err error) {
	least := math.Inf(1)
	for try := 1; try <= tries && least > Most; try++ {
		found, taken, err := measure()
		if err != nil {
			return best, err
		}
		report(try, found, taken)
		if taken < least {
			best, least = found, taken
		}
	}
	return best, nil
}
