// Package admin is the seam between combinator and the command line: queries of operators about users' data.
package admin

import (
	"context"
	"errors"
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
	// User returns a user with its resources, or ErrNoUser.
	User(ctx context.Context, uid string) (User, error)
}

// ErrNoUser is returned for a user without a row.
var ErrNoUser = errors.New("no such user")

// User is a user with its resources.
type User struct {
	UID       string     `json:"user_uid"`
	Email     string     `json:"email"`
	CreatedAt time.Time  `json:"created_at"`
	Resources []Resource `json:"resources"`
}

// Resource is a SQL schema (rdb) or key-value namespace (kv) of a user.
type Resource struct {
	ResourceID string `json:"resource_id"`
	Type       string `json:"resource_type"`
	Status     string `json:"status"`
	Message    string `json:"msg"`
	// Bytes is the last measured size of a SQL schema, nil when it was never measured.
	Bytes     *int64    `json:"bytes,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}
