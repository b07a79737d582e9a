package shelf

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return zap.New(core), logs
}

func TestExpect(t *testing.T) {
	a := newAuthority(t, "E7")
	disk := newDisk()
	s := New(Config{Load: disk.load})
	text := a.simple(t, "ensotek.de")
	disk.write("ensotek.de", text)
	disk.write("radanor.de", a.simple(t, "radanor.de"))

	absentFrom(t, s, "ensotek.de")
	if n := disk.loads.Load(); n != 0 {
		t.Errorf("%d reads for a name that nobody expects", n)
	}
	s.Expect("ensotek.de", "ensotek.de", "radanor.de", "", "*")
	if got := s.Stats(); got.Expected != 2 || got.Packed != 0 {
		t.Errorf("stats %+v", got)
	}
	if _, ok := s.Info("ensotek.de"); ok {
		t.Error("info of what has not been read")
	}
	serves(t, s, "ensotek.de", text)
	s.Expect("ensotek.de")
	serves(t, s, "ensotek.de", text)
	if leaf, ok := s.Leaf("radanor.de"); !ok || leaf.DNSNames[0] != "radanor.de" {
		t.Error("no leaf of what is expected")
	}
	if got := s.Stats(); got.Expected != 0 || got.Packed != 2 || got.Loaded != 2 || disk.loads.Load() != 2 {
		t.Errorf("stats %+v after %d reads", got, disk.loads.Load())
	}
}

func TestExpectedAndGone(t *testing.T) {
	disk := newDisk()
	logger, logs := observed()
	s := New(Config{Load: disk.load, Logger: logger})
	s.Expect("ensotek.de")
	absentFrom(t, s, "ensotek.de")
	absentFrom(t, s, "ensotek.de")
	if got := s.Stats(); got.Expected != 0 || disk.loads.Load() != 1 || logs.Len() != 0 {
		t.Errorf("stats %+v after %d reads and %d lines", got, disk.loads.Load(), logs.Len())
	}
}

// TestWithoutLoad is a storage across a network.
func TestWithoutLoad(t *testing.T) {
	s := New(Config{})
	s.Expect("ensotek.de")
	absentFrom(t, s, "ensotek.de")
	text := newAuthority(t, "E7").simple(t, "ensotek.de")
	put(t, s, "ensotek.de", text)
	serves(t, s, "ensotek.de", text)
	if got := s.Stats(); got.Expected != 0 || got.Packed != 1 {
		t.Errorf("stats %+v", got)
	}
}

func TestTorn(t *testing.T) {
	a := newAuthority(t, "E7")
	disk := newDisk()
	logger, logs := observed()
	var told []string
	s := New(Config{Load: disk.load, Logger: logger, Torn: func(domain string) { told = append(told, domain); panic("a bug in the queue") }})
	said := func(n int) {
		t.Helper()
		if got := logs.FilterLevelExact(zapcore.WarnLevel).Len(); got != n || len(told) != n {
			t.Errorf("said %d times and told %v, want %d", got, told, n)
		}
	}
	good := a.simple(t, "ensotek.de")
	disk.write("ensotek.de", good[:len(good)-100])
	s.Expect("ensotek.de")
	absentFrom(t, s, "ensotek.de")
	absentFrom(t, s, "ensotek.de")
	said(1)
	if n := disk.loads.Load(); n != 1 {
		t.Errorf("a torn file was read %d times", n)
	}
	s.Expect("ensotek.de")
	absentFrom(t, s, "ensotek.de")
	said(1)
	// a sound one heals it
	put(t, s, "ensotek.de", good)
	serves(t, s, "ensotek.de", good)
	s.remove("ensotek.de")
	s.Expect("ensotek.de")
	absentFrom(t, s, "ensotek.de")
	said(2)
	// as does a sound file
	disk.write("ensotek.de", good)
	s.Expect("ensotek.de")
	serves(t, s, "ensotek.de", good)
}

// TestSickDisk asks a disk that fails once a second and speaks of it once a minute.
func TestSickDisk(t *testing.T) {
	f := func(name string, load func(*disk) func(string) ([]byte, error)) {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t, "E7")
			disk := newDisk()
			disk.fail(errors.New("input/output error"))
			logger, logs := observed()
			s := New(Config{Load: load(disk), Logger: logger})
			domains := []string{"ensotek.de", "radanor.de"}
			for _, domain := range domains {
				disk.write(domain, a.simple(t, domain))
			}
			s.Expect(domains...)
			now := time.Now().Truncate(time.Second)
			for second := range 10 {
				for range 5 {
					for _, domain := range domains {
						if s.Lookup([]byte(domain), now.Add(time.Duration(second)*time.Second)) != nil {
							t.Fatal("a certificate out of nowhere")
						}
					}
				}
			}
			if n := disk.loads.Load(); n != 20 || logs.Len() != 1 {
				t.Errorf("%d reads and %d lines", n, logs.Len())
			}
			disk.fail(nil)
			for _, domain := range domains {
				if s.Lookup([]byte(domain), now.Add(10*time.Second)) == nil {
					t.Errorf("the disk is well again, and %q absent", domain)
				}
			}
		})
	}
	f("error", func(d *disk) func(string) ([]byte, error) { return d.load })
	f("panic", func(d *disk) func(string) ([]byte, error) {
		return func(domain string) ([]byte, error) {
			text, err := d.load(domain)
			if err != nil {
				panic(err)
			}
			return text, nil
		}
	})
}

func TestSingleFlight(t *testing.T) {
	a := newAuthority(t, "E7")
	text := a.simple(t, "ensotek.de")
	synctest.Test(t, func(t *testing.T) {
		disk, gate := newDisk(), make(chan struct{})
		disk.write("ensotek.de", text)
		s := New(Config{Load: func(domain string) ([]byte, error) { <-gate; return disk.load(domain) }})
		s.Expect("ensotek.de")
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if s.Lookup([]byte("ensotek.de"), time.Now()) == nil {
					t.Error("one that waited got none")
				}
			})
		}
		synctest.Wait()
		close(gate)
		all.Wait()
		if n := disk.loads.Load(); n != 1 {
			t.Errorf("%d reads", n)
		}
	})
}

// TestOvertaken changes a domain while it is being read.
func TestOvertaken(t *testing.T) {
	a := newAuthority(t, "E7")
	old, young := a.simple(t, "ensotek.de"), a.simple(t, "ensotek.de")
	f := func(name string, change func(*Shelf, *disk), check func(*testing.T, *Shelf, *disk)) {
		t.Run(name, func(t *testing.T) {
			disk := newDisk()
			disk.write("ensotek.de", old)
			var s *Shelf
			var once sync.Once
			s = New(Config{Load: func(domain string) ([]byte, error) {
				text, err := disk.load(domain)
				once.Do(func() { change(s, disk) })
				return text, err
			}})
			s.Expect("ensotek.de")
			s.Lookup([]byte("ensotek.de"), time.Now())
			check(t, s, disk)
			s.remove("ensotek.de")
			if n := s.tails.size(); n != 0 {
				t.Errorf("chains of %d bytes are left", n)
			}
		})
	}
	f("put", func(s *Shelf, _ *disk) { s.Put("ensotek.de", young) }, func(t *testing.T, s *Shelf, _ *disk) {
		serves(t, s, "ensotek.de", young)
	})
	f("remove", func(s *Shelf, _ *disk) { s.remove("ensotek.de") }, func(t *testing.T, s *Shelf, d *disk) {
		absentFrom(t, s, "ensotek.de")
		if n := d.loads.Load(); n != 1 {
			t.Errorf("%d reads", n)
		}
	})
	f("announced again", func(s *Shelf, d *disk) { d.write("ensotek.de", young); s.Expect("ensotek.de") }, func(t *testing.T, s *Shelf, d *disk) {
		serves(t, s, "ensotek.de", young)
		if n := d.loads.Load(); n != 2 {
			t.Errorf("%d reads", n)
		}
	})
}
