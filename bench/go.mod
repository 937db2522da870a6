module github.com/art32/art32/bench

go 1.26

replace github.com/art32/art32 => ../
