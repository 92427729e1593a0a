package claims

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/tasks/internal/store"
)

// newTestLane returns a lane whose newest claim, of task 100, is older than two AdaptIntervals.
func newTestLane() (*Tracker, *Lane) {
	tracker := NewTracker(&config.Config{Tasks: config.Tasks{Workers: 1, Buffer: 4}})
	lane := tracker.Lanes()[0]
	tracker.Add(lane, store.Claim{ID: 90}, store.Claim{ID: 100})
	lane.adaptWindow(false)
	lane.adaptWindow(false)
	return tracker, lane
}

func TestScanThatFoundAllBeginsNearNewestClaim(t *testing.T) {
	t.Parallel()
	tracker, lane := newTestLane()
	tracker.Add(lane, store.Claim{ID: 120})
	lane.adaptWindow(false)
	lane.ScanEnded(0, false)
	require.EqualValues(t, 100, lane.StartScan(), "tasks below 120 may have been committed after it")

	lane.LowerScanStart(50)
	require.EqualValues(t, 50, lane.StartScan(), "task 50 is pending again")
	lane.ScanEnded(60, true)
	require.EqualValues(t, 61, lane.StartScan(), "there are more")
	lane.ScanEnded(70, false)
	require.EqualValues(t, 100, lane.StartScan())
}

func TestScanFollowsIDsThatWereSetBack(t *testing.T) {
	t.Parallel()
	tracker, lane := newTestLane()
	lane.RequestFullScan()
	lane.ScanEnded(7, false)
	require.EqualValues(t, 100, lane.StartScan())

	tracker.Add(lane, store.Claim{ID: 7}) // the database was restored
	lane.adaptWindow(false)
	lane.adaptWindow(false)
	lane.RequestFullScan()
	lane.ScanEnded(7, false)
	require.EqualValues(t, 7, lane.StartScan())
}

func TestFailedFullScanLeavesTheOthersAsTheyWere(t *testing.T) {
	t.Parallel()
	_, lane := newTestLane()
	lane.ScanEnded(0, false)
	lane.RequestFullScan()
	require.Zero(t, lane.ScanStart())
	require.Zero(t, lane.StartScan())
	lane.ScanFailed()
	require.EqualValues(t, 100, lane.StartScan(), "it read all ended tasks in vain; the others do not")

	lane.RequestFullScan()
	lane.ScanEnded(60, true)
	require.EqualValues(t, 61, lane.StartScan(), "a full scan goes on where its slots ended")
}
