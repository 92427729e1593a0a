package tikv

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leakLimit is how long goroutines may take to end: client-go's wait out a dial's time limit on connections that are
// closed already.
const leakLimit = 30 * time.Second

// Run runs a package's tests, which use clients of TiKV, and looks for goroutines that they left. It returns the exit status.
// client-go shares its connections to a cluster within a process and keeps them: those do not count.
func Run(m *testing.M) int {
	if status := m.Run(); status != 0 {
		return status
	}
	begin := time.Now()
	shared := goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run")
	err := goleak.Find(shared)
	for err != nil && time.Since(begin) < leakLimit {
		err = goleak.Find(shared) // waits a moment itself
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
