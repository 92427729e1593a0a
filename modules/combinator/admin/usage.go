// Package admin is what operators may ask about users' data: the seam between combinator and the command line.
package admin

import (
	"context"
	"math/big"
	"time"
)

// Query says whose usage is asked for, and of which days.
type Query struct {
	// UserUID is the user; "" for all.
	UserUID string
	// From and To are the first and the last day, in UTC; the zero time for no limit.
	From, To time.Time
}

// Day is what changed in one resource on one day. A span of time counts to the day on which it began, in UTC.
type Day struct {
	Day          string `json:"day"`
	UserUID      string `json:"user_uid"`
	ResourceID   string `json:"resource_id"`
	ResourceType string `json:"resource_type"`
	Reports      int64  `json:"reports"`
	// DataChange is bytes gained, or lost where negative; a sum may be beyond 64 bits. Never nil.
	DataChange *big.Int `json:"datachange"`
	// Bytes is the size of a SQL schema when it was measured last, nil where it was not.
	Bytes *int64 `json:"bytes,omitempty"`
}

// Reader answers. It needs the database only.
type Admin interface {
	// Days returns the sums by user, resource and day, in this order. Resources without reports have one entry with an empty
	// day where they were measured.
	Days(ctx context.Context, query Query) ([]Day, error)
}
