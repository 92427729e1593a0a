package config

import (
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"time"
)

// Tasks are the settings of the queue and its processor pool.
type Tasks struct {
	Workers           int            `mapstructure:"workers"`
	Lanes             map[string]int `mapstructure:"lanes"`
	Buffer            int            `mapstructure:"buffer"`
	PollInterval      time.Duration  `mapstructure:"pollInterval"`
	HeartbeatInterval time.Duration  `mapstructure:"heartbeatInterval"`
	TakeoverAfter     time.Duration  `mapstructure:"takeoverAfter"`
	MaxTakeovers      int            `mapstructure:"maxTakeovers"`
	ShutdownTimeout   time.Duration  `mapstructure:"shutdownTimeout"`
	Attempts          int            `mapstructure:"attempts"`
	JobTimeout        time.Duration  `mapstructure:"jobTimeout"`
	RetryDelay        time.Duration  `mapstructure:"retryDelay"`
	RetryDelayMax     time.Duration  `mapstructure:"retryDelayMax"`
	ParkedRecheck     time.Duration  `mapstructure:"parkedRecheck"`
	EncryptionKeys    Secret         `mapstructure:"encryptionKeys"`
	Retention         Retention      `mapstructure:"retention"`
}

// Retention is how long ended tasks are kept.
type Retention struct {
	Finished time.Duration `mapstructure:"finished"`
	Failed   time.Duration `mapstructure:"failed"`
	Interval time.Duration `mapstructure:"interval"`
}

// Cron is the scheduler of the periodic jobs.
type Cron struct {
	CheckInterval time.Duration `mapstructure:"checkInterval"`
	StartInterval time.Duration `mapstructure:"startInterval"`
}

// Lease returns how long after a heartbeat a process may run its claimed tasks: less than the time after which others take
// them over.
func (t Tasks) Lease() time.Duration { return t.TakeoverAfter * 2 / 3 }

// HeartbeatTimeout returns how long a heartbeat may take before its connection is closed: a fraction of the lease, so that
// there is time for further heartbeats on new connections.
func (t Tasks) HeartbeatTimeout() time.Duration { return t.Lease() / 4 }

// LongestWait returns the longest wait of a task, jitter included: between attempts, when it is snoozed, and until a parked
// one is checked again.
func (t Tasks) LongestWait() time.Duration {
	return max(t.RetryDelayMax*3/2, t.ParkedRecheck*6/5, LongestSnooze*6/5)
}

// LongestSnooze is the longest time for which a job may snooze its task, without jitter.
const LongestSnooze = 5 * time.Minute

// DefaultLane is the lane of tasks whose job type names none; Tasks.Workers is its number of workers.
const DefaultLane = "default"

// WorkersOfLanes returns the number of workers of every lane.
func (t Tasks) WorkersOfLanes() map[string]int {
	lanes := map[string]int{DefaultLane: t.Workers}
	maps.Copy(lanes, t.Lanes)
	return lanes
}

// keyLength is the length of an AES-256 key in bytes.
const keyLength = 32

// Keys returns the encryption keys of payloads; the first one encrypts. The error never contains a key.
func (t Tasks) Keys() ([][]byte, error) {
	var keys [][]byte
	for text := range strings.SplitSeq(t.EncryptionKeys.Reveal(), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != keyLength {
			return nil, errors.New("must be keys of 32 bytes in standard base64, separated by commas")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// minTakeoverAfter leaves a busy database enough time to answer a heartbeat.
const minTakeoverAfter = 300 * time.Millisecond

func tasksLimits() limits {
	return limits{
		numbers: map[string][2]float64{
			"tasks.workers":      {1, maxWorkers},
			"tasks.buffer":       {1, 100_000},
			"tasks.attempts":     {1, 1000},
			"tasks.maxTakeovers": {1, 1000},
		},
		durations: map[string][2]time.Duration{
			"tasks.pollInterval":       {10 * time.Millisecond, 10 * time.Minute},
			"tasks.heartbeatInterval":  {10 * time.Millisecond, 10 * time.Minute},
			"tasks.takeoverAfter":      {minTakeoverAfter, time.Hour},
			"tasks.shutdownTimeout":    {100 * time.Millisecond, time.Hour},
			"tasks.jobTimeout":         {time.Second, day},
			"tasks.retryDelay":         {time.Millisecond, day},
			"tasks.retryDelayMax":      {time.Millisecond, day},
			"tasks.parkedRecheck":      {time.Second, week},
			"tasks.retention.finished": {time.Minute, 10 * year},
			"tasks.retention.failed":   {time.Minute, 10 * year},
			"tasks.retention.interval": {100 * time.Millisecond, day},
			"cron.checkInterval":       {10 * time.Millisecond, time.Hour},
			"cron.startInterval":       {time.Second, week},
		},
	}
}

func (t Tasks) validate(invalid invalidFunc) {
	for lane, n := range t.Lanes {
		if lane == DefaultLane || n < 1 || n > maxWorkers {
			invalid("tasks.lanes."+lane, "must be 1 to %d, and not the default lane", maxWorkers)
		}
	}
	invalid.atMost("tasks.retryDelay", t.RetryDelay, "tasks.retryDelayMax", t.RetryDelayMax)
	if t.TakeoverAfter < 3*t.HeartbeatInterval {
		invalid("tasks.takeoverAfter", "must be at least three times tasks.heartbeatInterval")
	}
	if _, err := t.Keys(); err != nil {
		invalid("tasks.encryptionKeys", "%s", err)
	}
}
