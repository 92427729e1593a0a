package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/job"
)

// innerSession is Inner, running.
type innerSession struct {
	app      *fx.App
	server   *server.Server
	queue    job.Queue
	overHTTP bool
}

func (s *innerSession) producer(ctx context.Context) (producer, error) {
	if !s.overHTTP {
		return inProcess{s.queue}, nil
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.server.Address())
	if err != nil {
		return nil, err
	}
	return &overHTTP{conn: conn, reader: bufio.NewReader(conn), host: s.server.Address()}, nil
}

func (s *innerSession) stop(ctx context.Context) error { return s.app.Stop(ctx) }

// inProcess accepts through the queue's seam.
type inProcess struct{ queue job.Queue }

func (p inProcess) accept(ctx context.Context, n note) error {
	_, err := p.queue.Accept(ctx, innerType, n)
	return err
}

func (p inProcess) close() error { return nil }

// overHTTP sends requests on one connection that is kept. It is as thin as a client can be: the server is measured, and
// both share the processors.
type overHTTP struct {
	conn   net.Conn
	reader *bufio.Reader
	host   string
	body   bytes.Buffer
	head   bytes.Buffer
}

// acceptTimeout bounds one request.
const acceptTimeout = 30 * time.Second

func (p *overHTTP) accept(_ context.Context, n note) error {
	p.body.Reset()
	err := json.NewEncoder(&p.body).Encode(struct {
		TaskType string `json:"task_type"`
		TaskInfo note   `json:"task_info"`
	}{innerType, n})
	if err != nil {
		return err
	}
	p.head.Reset()
	fmt.Fprintf(&p.head, "POST /api/acceptTask HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		p.host, p.body.Len())
	p.head.Write(p.body.Bytes())
	if err := p.conn.SetDeadline(time.Now().Add(acceptTimeout)); err != nil {
		return err
	}
	if _, err := p.conn.Write(p.head.Bytes()); err != nil {
		return fmt.Errorf("acceptTask: %w", err)
	}
	return p.answer()
}

// answer reads the receipt. Of its head only the status and the length matter.
func (p *overHTTP) answer() error {
	status, length := "", 0
	for {
		line, err := p.reader.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("acceptTask: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if status == "" {
			status = string(bytes.TrimPrefix(line, []byte("HTTP/1.1 ")))
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("acceptTask: %w", err)
			}
		}
	}
	p.body.Reset()
	if _, err := io.CopyN(&p.body, p.reader, int64(length)); err != nil {
		return fmt.Errorf("acceptTask: %w", err)
	}
	if status != "200 OK" || !bytes.Contains(p.body.Bytes(), []byte(`"task_id":`)) {
		return fmt.Errorf("acceptTask: %s: %s", status, bytes.TrimSpace(p.body.Bytes()))
	}
	return nil
}

func (p *overHTTP) close() error { return p.conn.Close() }
