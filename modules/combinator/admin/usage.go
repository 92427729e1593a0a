// Package admin is the seam between combinator and the command line: queries of operators about users' data.
package admin

import (
	"context"
	"math/big"
	"time"
)

// Query selects the usage of a user or of all users in a range of days.
type Query struct {
	// UserUID is the user; "" for all users.
	UserUID string
	// From and To are the first and the last day, in UTC; the zero time means no limit.
	From, To time.Time
}

// Day is the change of one resource on one day. A time span counts for the day on which it began, in UTC.
type Day struct {
	Day          string `json:"day"`
	UserUID      string `json:"user_uid"`
	ResourceID   string `json:"resource_id"`
	ResourceType string `json:"resource_type"`
	Reports      int64  `json:"reports"`
	// DataChange is the number of bytes gained, or lost when negative; a sum may exceed 64 bits. It is never nil.
	DataChange *big.Int `json:"datachange"`
	// Bytes is the last measured size of a SQL schema, nil when it was never measured.
	Bytes *int64 `json:"bytes,omitempty"`
}

// Admin answers queries. It needs only the database.
type Admin interface {
	// Days returns the sums by user, resource and day, in this order. A resource that has a measured size and no reports has
	// one entry with an empty day.
	Days(ctx context.Context, query Query) ([]Day, error)
}
