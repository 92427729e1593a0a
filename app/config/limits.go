package config

import (
	"fmt"
	"maps"
	"reflect"
	"time"
)

// Spans of time that limits are made of.
const (
	day  = 24 * time.Hour
	week = 7 * day
	year = 365 * day
)

// numberLimits are the least and the most of every number. What is beyond serves nobody: it is a slip of the pen, and would
// take the memory, the connections or the time that others need.
func numberLimits() map[string][2]float64 {
	return map[string][2]float64{
		"http.bodyLimit":                    {1 << 10, 1 << 28},
		"http.taskBodyLimit":                {1 << 10, 1 << 28},
		"http.bodyMemory":                   {1 << 10, 1 << 40},
		"http.headerLimit":                  {minHeaderLimit, 1 << 20},
		"http.maxRequests":                  {1, 100_000},
		"http.maxConnections":               {1, 1_000_000},
		"database.maxOpenConnections":       {1, 10_000},
		"database.maxIdleConnections":       {0, 10_000},
		"kubernetes.qps":                    {1, 100_000},
		"kubernetes.burst":                  {1, 1_000_000},
		"tasks.workers":                     {1, maxWorkers},
		"tasks.buffer":                      {1, 100_000},
		"tasks.attempts":                    {1, 1000},
		"tasks.maxTakeovers":                {1, 1000},
		"controller.workers":                {1, maxWorkers},
		"controller.writeRateLimit.burst":   {1, 100_000},
		"controller.limits.replicas":        {1, 1_000_000},
		"controller.restartsPerSecond":      {0.01, 10_000},
		"tracing.ratio":                     {0, 1},
		"domains.checks":                    {1, 100_000},
		"domains.withdrawFailures":          {1, 1000},
		"domains.removalMinimum":            {1, 1_000_000_000},
		"domains.removalShare":              {0, 1},
		"domains.workers":                   {1, maxWorkers},
		"domains.dns.port":                  {1, maxPort},
		"domains.dns.questions":             {1, 100_000},
		"audit.pageSize":                    {1, 100_000},
		"audit.maxObjects":                  {1, 100_000_000},
		"audit.maxRepairs":                  {1, 1_000_000},
		"audit.maxDeletions":                {1, 1_000_000},
		"audit.maxDeletionShare":            {0, 1},
		"audit.maxShrink":                   {0, 1},
		"combinator.rdb.schemasPerUser":     {0, 1_000_000},
		"combinator.rdb.connectionLimit":    {0, 100_000},
		"combinator.rdb.maxOpenConnections": {1, 10_000},
		"combinator.pods.webhookPort":       {1, maxPort},
	}
}

// maxWorkers is the most goroutines of a kind that do work which waits for a server.
const maxWorkers = 1000

// durationLimits are the least and the most of every duration. The least is what lets the thing be done at all, and periodic
// jobs have ticks of whole seconds.
func durationLimits() map[string][2]time.Duration {
	all := serverLimits()
	maps.Copy(all, moduleLimits())
	return all
}

// serverLimits are those of what every module stands on, and of the queue.
func serverLimits() map[string][2]time.Duration {
	return map[string][2]time.Duration{
		"http.requestTimeout":       {100 * time.Millisecond, 10 * time.Minute},
		"http.readHeaderTimeout":    {100 * time.Millisecond, 10 * time.Minute},
		"http.readTimeout":          {100 * time.Millisecond, time.Hour},
		"http.writeTimeout":         {100 * time.Millisecond, 2 * time.Hour},
		"http.idleTimeout":          {time.Second, day},
		"http.tls.reloadInterval":   {100 * time.Millisecond, day},
		"http.drainTime":            {0, 10 * time.Minute},
		"http.shutdownTimeout":      {100 * time.Millisecond, 10 * time.Minute},
		"tracing.timeout":           {100 * time.Millisecond, 5 * time.Minute},
		"database.connectTimeout":   {100 * time.Millisecond, 5 * time.Minute},
		"database.statementTimeout": {time.Second, 10 * time.Minute},

		"database.maxConnectionLifetime": {minConnectionLifetime, week},
		"kubernetes.timeout":             {time.Second, 10 * time.Minute},
		"tasks.pollInterval":             {10 * time.Millisecond, 10 * time.Minute},
		"tasks.heartbeatInterval":        {10 * time.Millisecond, 10 * time.Minute},
		"tasks.takeoverAfter":            {minTakeoverAfter, time.Hour},
		"tasks.shutdownTimeout":          {100 * time.Millisecond, time.Hour},
		"tasks.jobTimeout":               {time.Second, day},
		"tasks.retryDelay":               {time.Millisecond, day},
		"tasks.retryDelayMax":            {time.Millisecond, day},
		"tasks.parkedRecheck":            {time.Second, week},
		"tasks.retention.finished":       {time.Minute, 10 * year},
		"tasks.retention.failed":         {time.Minute, 10 * year},
		"tasks.retention.interval":       {100 * time.Millisecond, day},
		"cron.checkInterval":             {10 * time.Millisecond, time.Hour},
		"cron.startInterval":             {time.Second, week},
	}
}

func moduleLimits() map[string][2]time.Duration {
	return map[string][2]time.Duration{
		"audit.interval":      {time.Second, year},
		"audit.timeout":       {time.Second, day},
		"audit.callTimeout":   {100 * time.Millisecond, time.Hour},
		"audit.grace":         {time.Second, year},
		"audit.minAge":        {time.Second, year},
		"audit.stuckInterval": {time.Second, day},
		"audit.shrinkWindow":  {time.Second, year},

		"controller.progressDeadline":             {time.Second, day},
		"controller.failureGrace":                 {time.Millisecond, day},
		"controller.minReady":                     {0, time.Hour},
		"controller.scaleToZeroAfter":             {0, year},
		"controller.retryDelay":                   {time.Millisecond, day},
		"controller.retryDelayMax":                {time.Millisecond, day},
		"controller.resyncInterval":               {time.Second, day},
		"controller.writeRateLimit.interval":      {10 * time.Millisecond, day},
		"controller.leaderElection.leaseDuration": {time.Second, 10 * time.Minute},
		"controller.leaderElection.renewDeadline": {100 * time.Millisecond, 10 * time.Minute},
		"controller.leaderElection.retryPeriod":   {10 * time.Millisecond, 10 * time.Minute},
		"controller.pods.stopDelay":               {0, time.Hour},
		"controller.pods.stopGrace":               {0, day},

		"domains.scanInterval":    {10 * time.Millisecond, time.Hour},
		"domains.resyncInterval":  {10 * time.Millisecond, day},
		"domains.checkTimeout":    {100 * time.Millisecond, 10 * time.Minute},
		"domains.scheduleFor":     {time.Second, year},
		"domains.checkInterval":   {time.Second, year},
		"domains.passTimeout":     {time.Second, week},
		"domains.withdrawAfter":   {time.Second, year},
		"domains.retryInterval":   {time.Second, year},
		"domains.removalGrace":    {time.Second, year},
		"domains.dns.timeout":     {10 * time.Millisecond, time.Minute},
		"domains.dns.delegations": {time.Second, day},

		"combinator.rdb.statementTimeout":       {100 * time.Millisecond, day},
		"combinator.rdb.idleTransactionTimeout": {100 * time.Millisecond, day},
		"combinator.rdb.connectTimeout":         {100 * time.Millisecond, 5 * time.Minute},
		"combinator.rdb.requestTimeout":         {time.Second, time.Hour},
		"combinator.rdb.lockTimeout":            {100 * time.Millisecond, time.Hour},
		"combinator.rdb.maxConnectionLifetime":  {minConnectionLifetime, week},
		"combinator.rdb.measureInterval":        {time.Second, year},
		"combinator.rdb.passwordInterval":       {time.Second, week},
		"combinator.kv.requestTimeout":          {100 * time.Millisecond, 10 * time.Minute},
		"combinator.kv.sweepAfter":              {time.Second, year},
		"combinator.kv.sweepInterval":           {time.Second, year},
		"combinator.pods.webhookTimeout":        {10 * time.Millisecond, time.Minute},
	}
}

// validateLimits compares every number and duration with its limits.
func (c *Config) validateLimits(fault faultFunc) {
	numbers, durations := numberLimits(), durationLimits()
	for _, s := range c.settings() {
		if limits, ok := durations[s.key]; ok {
			if d := time.Duration(s.value.Int()); d < limits[0] || d > limits[1] {
				fault(s.key, "must be %s to %s", limits[0], limits[1])
			}
		}
		if limits, ok := numbers[s.key]; ok {
			if n := number(s.value); !(n >= limits[0] && n <= limits[1]) { // nor is it no number at all
				fault(s.key, "must be %s to %s", written(limits[0]), written(limits[1]))
			}
		}
	}
	for lane, n := range c.Tasks.Lanes {
		if lane == DefaultLane || n < 1 || n > maxWorkers {
			fault("tasks.lanes."+lane, "must be 1 to %d, and not the default lane", maxWorkers)
		}
	}
}

func number(v reflect.Value) float64 {
	if v.CanFloat() {
		return v.Float()
	}
	return float64(v.Int())
}

func written(n float64) string { return fmt.Sprintf("%.0f", n) }
