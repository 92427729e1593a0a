// Package config is the one typed configuration of the program, read and checked once at its start.
package config

import (
	"crypto/sha256"
	"encoding/hex"
)

// Config holds every setting, by sections. A setting is a field in the file of its section (tasks.go, http.go), beside its limits
// and checks; configs/inner.yaml explains it and gives its default.
type Config struct {
	Domain     string     `mapstructure:"domain"`
	Platform   string     `mapstructure:"platform"`
	Debug      bool       `mapstructure:"debug"`
	Log        Log        `mapstructure:"log"`
	HTTP       HTTP       `mapstructure:"http"`
	Database   Database   `mapstructure:"database"`
	Kubernetes Kubernetes `mapstructure:"kubernetes"`
	Tasks      Tasks      `mapstructure:"tasks"`
	Cron       Cron       `mapstructure:"cron"`
	Controller Controller `mapstructure:"controller"`
	Profiling  Profiling  `mapstructure:"profiling"`
	Tracing    Tracing    `mapstructure:"tracing"`
	Domains    Domains    `mapstructure:"domains"`
	Audit      Audit      `mapstructure:"audit"`
	Combinator Combinator `mapstructure:"combinator"`
}

// platformMarkLength is the length of PlatformMark, in hexadecimal digits of 4 bits.
const platformMarkLength = 16

// PlatformMark returns the mark on every object that this platform creates in a shared cluster or engine: 16 hexadecimal
// digits of a hash of its name, or of its domain where it has no name. It is empty where neither is configured.
func (c *Config) PlatformMark() string {
	name := c.Platform
	if name == "" {
		name = c.Domain
	}
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:platformMarkLength]
}
