#!/bin/sh
# A name server, in a file of its own instead of the link to systemd's
rm -f /etc/resolv.conf
echo "nameserver 10.9.1.1" | tee /etc/resolv.conf
# A repository
rm -rf /etc/apt/sources.list.d/*
echo "deb http://mirror.example/debian bookworm main" | tee /etc/apt/sources.list.d/own.list
# A time server
mkdir -p /etc/systemd/timesyncd.conf.d
echo "[Time]" | tee /etc/systemd/timesyncd.conf.d/own.conf
echo "NTP=ntp1.example" | tee -a /etc/systemd/timesyncd.conf.d/own.conf
systemctl try-restart systemd-timesyncd.service
