package processor

import "time"

// schedule spaces out work that may take long: an interval passes between the end of one run and the next, or less where a run is
// requested, but at least factor times the duration of the last run, up to mostRest, so that it never takes most of the time.
type schedule struct {
	factor           int
	mostRest         time.Duration
	earliest, latest time.Time
	requested        bool
}

// due reports whether the work is to be done now. A request lasts until the work was done.
func (s *schedule) due(now time.Time, requested bool) bool {
	s.requested = s.requested || requested
	return !now.Before(s.next())
}

// ran records a run that ends now.
func (s *schedule) ran(took, interval time.Duration) {
	now, rest := time.Now(), min(time.Duration(s.factor)*took, s.mostRest)
	s.earliest, s.latest, s.requested = now.Add(rest), now.Add(max(interval, rest)), false
}

// next returns when the work is due.
func (s *schedule) next() time.Time {
	if s.requested {
		return s.earliest
	}
	return s.latest
}

// nextInterval returns the delay of the next poll. After a poll that found tasks it is short, since the process that accepted
// them, or the one that ended, is likely to have left more; each poll without any doubles it.
func nextInterval(last, longest time.Duration, found bool) time.Duration {
	if found {
		return longest / busyPollShare
	}
	return min(2*last, longest)
}
