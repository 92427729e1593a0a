package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticksPerSecond is the unit in which Linux tells processor time to every program.
const ticksPerSecond = 100

// processorTime returns what this process and those that it started have used of the processors so far, in seconds, by
// their names; nothing where there is no /proc.
func processorTime() map[string]float64 {
	used := map[string]float64{}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return used
	}
	own := strconv.Itoa(os.Getpid())
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		// The name of the program, in parentheses, may hold anything; see proc(5) for the fields behind it.
		fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
		if len(fields) < 13 {
			continue
		}
		user, userErr := strconv.ParseFloat(fields[11], 64)
		system, systemErr := strconv.ParseFloat(fields[12], 64)
		if userErr != nil || systemErr != nil {
			continue
		}
		folder := filepath.Dir(file)
		switch {
		case filepath.Base(folder) == own:
			used["load"] += (user + system) / ticksPerSecond
		case fields[1] == own:
			used[programName(folder)] += (user + system) / ticksPerSecond
		}
	}
	return used
}

// programName is the first argument: the programs of the control plane are one file, and Inner is this program itself.
func programName(folder string) string {
	content, err := os.ReadFile(filepath.Join(folder, "cmdline"))
	if err != nil {
		return "unknown"
	}
	arguments := strings.Split(string(content), "\x00")
	if len(arguments) < 2 {
		return "unknown"
	}
	if arguments[1] == replicaCommand {
		return "inner"
	}
	return arguments[1]
}

// addProcessorTime adds what was used since before, in all and by each program.
func addProcessorTime(found *results, name string, before map[string]float64) {
	total := 0.0
	for program, now := range processorTime() {
		used := now - before[program]
		total += used
		found.add(name+"/"+program, "s", used)
	}
	found.add(name, "s", total)
}
