package server

import "github.com/jackc/pgx/v5/pgproto3"

// handle takes one message of the client.
func (s *session) handle(message pgproto3.FrontendMessage) error {
	switch m := message.(type) {
	case *pgproto3.Query:
		return s.query(m.String)
	case *pgproto3.Sync:
		return s.sync()
	}
	if s.refusal != nil {
		return nil // as a server does after an error
	}
	switch m := message.(type) {
	case *pgproto3.Parse:
		return s.parse(m)
	case *pgproto3.Bind:
		s.portals[m.DestinationPortal] = s.statements[m.PreparedStatement]
	case *pgproto3.Execute:
		if forward, err := s.execute(m); err != nil || !forward {
			return err
		}
	case *pgproto3.Describe, *pgproto3.Close, *pgproto3.Flush:
	default:
		return unexpected(message)
	}
	s.upstream.Send(message)
	return nil
}

func (s *session) parse(m *pgproto3.Parse) error {
	parsed, refusal := read(m.Query)
	if refusal != nil {
		return s.refuse(refusal)
	}
	s.statements[m.Name] = m.Query
	m.Query = renamed(m.Query)
	if changesSchema(parsed) {
		if err := s.endTransaction(); err != nil {
			return err
		}
	}
	s.upstream.Send(m)
	return nil
}

// execute tells whether the message is passed on: a transaction that is not to be committed is not carried out.
func (s *session) execute(m *pgproto3.Execute) (forward bool, err error) {
	if s.state != idle {
		return true, nil
	}
	fault := s.server.fault(s.portals[m.Portal])
	switch {
	case fault == nil:
		return true, nil
	case fault.Applied:
		s.lost = fault
		return true, nil
	}
	return false, s.refuse(failure(fault))
}

// refuse answers the messages until the next Sync.
func (s *session) refuse(answer *pgproto3.ErrorResponse) error {
	s.refusal = answer
	return nil
}

// sync ends a series of messages: the answers to them are passed on, and who is ready says so.
func (s *session) sync() error {
	refusal := s.refusal
	s.refusal = nil
	s.upstream.Send(&pgproto3.Sync{})
	if err := s.relay(); err != nil {
		return err
	}
	if refusal != nil {
		s.client.Send(refusal)
		if err := s.abort(); err != nil {
			return err
		}
	}
	return s.ready()
}

// relay passes on all answers until the PostgreSQL is ready, but not that it is. After a lost commit the rows are lost too.
func (s *session) relay() error {
	fault := s.lost
	s.lost = nil
	if err := s.upstream.Flush(); err != nil {
		return err
	}
	for {
		message, err := s.upstream.Receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.ReadyForQuery:
			s.state = m.TxStatus
			return nil
		case *pgproto3.DataRow:
			if fault != nil {
				continue
			}
		case *pgproto3.CommandComplete:
			if fault != nil {
				s.client.Send(failure(fault))
				continue
			}
		case *pgproto3.ErrorResponse:
			fault = nil
		}
		s.client.Send(message)
		if err := s.client.Flush(); err != nil {
			return err
		}
	}
}

// ready says that the client may go on.
func (s *session) ready() error {
	s.client.Send(&pgproto3.ReadyForQuery{TxStatus: s.state})
	return s.client.Flush()
}
