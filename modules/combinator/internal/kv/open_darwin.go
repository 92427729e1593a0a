//go:build darwin && !cgo

package kv

import (
	"context"
	"errors"

	"app238.com/inner/app/config"
)

// open fails: what TiKV's client counts the processor's time with needs a C compiler on macOS. The commands of an operator do without
// it; the program of a server is the one for Linux.
func open(context.Context, config.KV) (kvClient, error) {
	return nil, errors.New("this build for macOS has no client of the KV engine")
}
