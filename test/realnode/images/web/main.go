// Command web is a tiny worker. Its variables say how it behaves: PORT (8080) is where it listens, WORDS what it answers,
// DIE_AFTER after how long it exits with a failure, EAT how many MiB of memory it takes before it serves. Its routes tell a test
// what only a process inside the container sees:
//
//	/                  WORDS, after ?wait=
//	/request           the request as it arrived: host, headers, and the address that it came from
//	/die               no answer: it exits with a failure
//	/self              its environment and what the kernel lets it do
//	/fetch?url=        what an HTTP server answers it
//	/dial?address=     whether a TCP server takes its connection
//
// At SIGTERM it ends the requests under way and then itself.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	fetchLimit  = 2 * time.Second
	answerLimit = 1 << 20
	stopLimit   = 20 * time.Second
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func serve() error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	defer runtime.KeepAlive(eat())
	server := &http.Server{Addr: ":" + cmp.Or(os.Getenv("PORT"), "8080"), Handler: routes(), ReadHeaderTimeout: fetchLimit}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	var death <-chan time.Time
	if after, err := time.ParseDuration(os.Getenv("DIE_AFTER")); err == nil {
		death = time.After(after)
	}
	select {
	case err := <-failed:
		return err
	case <-death:
		return errors.New("its time is up")
	case <-stop.Done():
	}
	ctx, done := context.WithTimeout(context.Background(), stopLimit)
	defer done()
	return server.Shutdown(ctx)
}

// eat takes the memory that EAT asks for, and has the kernel give it.
func eat() []byte {
	size, err := strconv.Atoi(os.Getenv("EAT"))
	if err != nil {
		return nil
	}
	taken := make([]byte, size<<20)
	for i := 0; i < len(taken); i += os.Getpagesize() {
		taken[i] = 1
	}
	return taken
}

func routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/die", func(http.ResponseWriter, *http.Request) { os.Exit(1) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if wait, err := time.ParseDuration(r.URL.Query().Get("wait")); err == nil {
			<-time.After(wait)
		}
		_, _ = fmt.Fprintln(w, os.Getenv("WORDS"))
	})
	mux.HandleFunc("/request", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"host": r.Host, "from": r.RemoteAddr, "headers": r.Header})
	})
	mux.HandleFunc("/self", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(self())
	})
	mux.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		if err := fetch(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	mux.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		dialer := net.Dialer{Timeout: fetchLimit}
		connection, err := dialer.DialContext(r.Context(), "tcp", r.URL.Query().Get("address"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_ = connection.Close()
	})
	return mux
}

// self is what the process knows of itself: its variables, the lines of /proc/self/status by their names, and the files
// that a pod may have.
func self() map[string]map[string]string {
	environment, status, files := map[string]string{}, map[string]string{}, map[string]string{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		environment[name] = value
	}
	lines, err := os.ReadFile("/proc/self/status")
	if err != nil {
		status["error"] = err.Error()
	}
	for line := range strings.Lines(string(lines)) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.TrimSpace(value)
	}
	for _, name := range []string{
		"/var/run/secrets/kubernetes.io/serviceaccount/token", "/etc/resolv.conf",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max",
	} {
		if content, err := os.ReadFile(name); err == nil {
			files[name] = strings.TrimSpace(string(content))
		}
	}
	return map[string]map[string]string{"environment": environment, "status": status, "files": files}
}

func fetch(w http.ResponseWriter, r *http.Request) error {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.Query().Get("url"), nil)
	if err != nil {
		return err
	}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-") {
			request.Header[name] = values
		}
	}
	client := &http.Client{Timeout: fetchLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	w.WriteHeader(response.StatusCode)
	_, err = io.Copy(w, io.LimitReader(response.Body, answerLimit))
	return err
}
