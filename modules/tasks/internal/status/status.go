// Package status reports the state of the queue and its processes for inner status.
package status

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/status"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// degradedAge is the age of a pending task from which the queue is degraded: far more than under normal load, and the
// threshold of the alert on the queue's age. As there, tasks of the slow lane may wait for longer.
const degradedAge = 5 * time.Minute

// rolloutTime is how long a rollout may take: processes of several versions are normal meanwhile.
const rolloutTime = 15 * time.Minute

// NewReplicas returns the component of the processes that run tasks.
func NewReplicas(s *store.Store, c *config.Config) status.Component {
	return status.Component{Name: "replicas", Probe: func(ctx context.Context) (status.Report, error) {
		found, err := s.Replicas(ctx)
		if err != nil {
			return status.Report{}, err
		}
		return replicas(found, c.Tasks.TakeoverAfter), nil
	}}
}

// replicas counts the processes whose tasks must not be recovered by others as alive.
func replicas(found []store.Replica, takeover time.Duration) status.Report {
	var report status.Report
	alive, overrun := 0, int64(0)
	versions := map[string]version{}
	for _, r := range found {
		if r.HeartbeatAge > takeover.Seconds() {
			continue
		}
		alive++
		v := versions[r.Version]
		versions[r.Version] = version{v.processes + 1, max(v.age, r.StartedAge)}
		report.Details = append(report.Details, status.Detail{Name: r.Host, Value: fmt.Sprintf(
			"%s, %d tasks claimed, %d of them not started, %d overrun jobs, last heartbeat %s ago, since %s UTC",
			versionName(r.Version), r.Claimed, r.Load.Waiting, r.Load.Overrun, seconds(r.HeartbeatAge),
			r.Started.UTC().Format(time.DateTime))})
		overrun += r.Load.Overrun
	}
	report.Text = fmt.Sprintf("%d alive", alive)
	report.Condition = status.OK
	if overrun > 0 {
		report.Condition = status.Degraded
		report.Text = fmt.Sprintf("%d alive, %d jobs still running after cancellation", alive, overrun)
	}
	if mix, old := mixture(versions); mix != "" {
		report.Text += "; " + mix
		if old {
			report.Condition = status.Degraded
		}
	}
	if alive == 0 {
		report.Condition, report.Text = status.Down, "no process runs tasks"
	}
	return report
}

// version is how many processes have a version, and the age in seconds of the oldest of them.
type version struct {
	processes int
	age       float64
}

// mixture describes the versions that run side by side, "" for one, and reports whether they have for longer than a rollout
// takes: since the last of them came.
func mixture(versions map[string]version) (text string, old bool) {
	if len(versions) < 2 {
		return "", false
	}
	since := math.Inf(1)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		since = min(since, versions[name].age)
		parts = append(parts, fmt.Sprintf("%d of %s", versions[name].processes, versionName(name)))
	}
	return fmt.Sprintf("several versions for %s: %s", seconds(since), strings.Join(parts, ", ")), since > rolloutTime.Seconds()
}

func versionName(version string) string { return cmp.Or(version, "unknown version") }

// NewQueue returns the component of the task queue.
func NewQueue(s *store.Store) status.Component {
	return status.Component{Name: "queue", Probe: func(ctx context.Context) (status.Report, error) {
		if err := s.Probe(ctx); err != nil {
			return status.Report{}, fmt.Errorf("no task can be accepted: database: %s: %w", database.Explain(err), err)
		}
		lanes, err := s.Backlogs(ctx)
		if err != nil {
			return status.Report{}, err
		}
		counts, err := s.CountByStatus(ctx)
		if err != nil {
			return status.Report{}, err
		}
		report := status.Report{Condition: status.OK, Text: fmt.Sprintf("%d pending, %d processing, %d waiting",
			counts[store.Pending], counts[store.Processing], counts[store.Waiting])}
		for _, lane := range lanes {
			report.Details = append(report.Details, status.Detail{Name: lane.Lane,
				Value: fmt.Sprintf("%d pending, the oldest for %s", lane.Pending, seconds(lane.Oldest))})
			if lane.Lane != job.SlowLane && lane.Oldest > degradedAge.Seconds() {
				report.Condition = status.Degraded
			}
		}
		return report, nil
	}}
}

func seconds(n float64) time.Duration {
	return time.Duration(n * float64(time.Second)).Round(100 * time.Millisecond)
}
